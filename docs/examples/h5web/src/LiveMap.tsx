import { HeatmapVis, getDomain } from "@h5web/lib";
import ndarray from "ndarray";
import { useMemo } from "react";
import type { Axis } from "websockets-plotting-blue";
import type { LiveRun } from "./useLiveRun";

/** An axis of so many points: what to write on it, and from the index of a point its position, or the index where the documents tell none. */
function scaleOf({ name, units, start, stop }: Axis, count: number) {
  const first = start ?? 0;
  const step = start === null || stop === null ? 1 : (stop - start) / Math.max(1, count - 1) || 1;
  const position = (index: number) => first + index * step;
  return {
    position,
    label: units ? `${name} (${units})` : name,
    // Cells reach half a step beyond the points they are for.
    edges: Array.from({ length: count + 1 }, (_, index) => position(index - 0.5)),
  };
}

/** One channel of a run of two dimensions. */
export function LiveMap({ live, channel }: { live: LiveRun; channel: string }) {
  const { shape, axes } = live.run;
  // Made anew at each update: H5Web looks again when it is given another object, and copies the values to the graphics card then.
  const values = useMemo(() => ndarray(live.maps.of(channel), shape), [live, channel]);
  const [y, x] = axes.map((axis, dimension) => scaleOf(axis, shape[dimension]));
  return (
    <HeatmapVis
      dataArray={values}
      domain={getDomain(values.data)}
      aspect="auto"
      abscissaParams={{ label: x.label, value: x.edges }}
      ordinateParams={{ label: y.label, value: y.edges }}
      renderTooltip={({ xi, yi }) => (
        <>
          {x.label}: {x.position(xi)}, {y.label}: {y.position(yi)}, <strong>{values.get(yi, xi)}</strong>
        </>
      )}
      style={{ height: "100vh" }}
    />
  );
}
