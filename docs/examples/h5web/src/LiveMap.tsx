import { HeatmapVis, getDomain } from "@h5web/lib";
import ndarray from "ndarray";
import { useMemo } from "react";
import type { Axis } from "websockets-plotting-blue";
import type { LiveRun } from "./useLiveRun";

/** Positions of an axis' points; undefined where the documents do not tell them, for which H5Web shows indices. */
function positions({ start, stop }: Axis, count: number): number[] | undefined {
  if (start === null || stop === null) return undefined;
  return Array.from({ length: count }, (_, index) => start + ((stop - start) * index) / Math.max(1, count - 1));
}

const label = ({ name, units }: Axis) => (units ? `${name} (${units})` : name);

/** One channel of a run of two dimensions. */
export function LiveMap({ live, channel }: { live: LiveRun; channel: string }) {
  const { shape, axes } = live.run;
  // Made anew at each update: H5Web looks again when it is given another object, and copies the values to the graphics card then.
  const values = useMemo(() => ndarray(live.maps.of(channel), shape), [live, channel]);
  const [y, x] = axes;
  return (
    <HeatmapVis
      dataArray={values}
      domain={getDomain(values.data)}
      aspect="auto"
      abscissaParams={{ label: label(x), value: positions(x, shape[1]) }}
      ordinateParams={{ label: label(y), value: positions(y, shape[0]) }}
      style={{ height: "100vh" }}
    />
  );
}
