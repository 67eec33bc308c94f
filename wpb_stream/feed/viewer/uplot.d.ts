// What wpb uses of uPlot.

export interface Options {
  width: number;
  height: number;
  padding?: number[];
  legend?: { show: boolean };
  cursor?: { show: boolean };
  scales: Record<string, { time?: boolean; distr?: 1 | 3 | 4; asinh?: number; range: () => [number, number] }>;
  axes: {
    label: () => string; labelSize: number; labelFont: string; labelGap?: number; size: number; gap?: number; font: string; stroke: () => string;
    grid: { show: boolean }; ticks: { stroke: () => string; size: number; width: number };
    splits?: (plot: uPlot, axis: number, low: number, high: number) => number[];
    values: (plot: uPlot, splits: number[]) => string[];
  }[];
  series: { stroke?: () => string; dash?: number[]; width?: number; spanGaps?: boolean; points?: { show: boolean; size: number; fill?: () => string } }[];
}

export default class uPlot {
  constructor(options: Options, data: (number | null)[][]);
  readonly ctx: CanvasRenderingContext2D;
  /** In device pixels. */
  readonly bbox: { left: number; top: number; width: number; height: number };
  batch(change: (plot: uPlot) => void): void;
  setSize(size: { width: number; height: number }): void;
  setData(data: (number | null)[][], resetScales: boolean): void;
  redraw(rebuildPaths: boolean, recalcAxes: boolean): void;
  valToPos(value: number, scale: string, devicePixels?: boolean): number;
  destroy(): void;
}
