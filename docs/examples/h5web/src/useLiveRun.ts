import { useEffect, useState } from "react";
import { Maps, watch, type Run } from "websockets-plotting-blue";

/** A run as it grows. A new object at each update, though `maps` stay the same ones: React draws again. */
export interface LiveRun {
  run: Run;
  maps: Maps;
  rows: number;
}

/** Watch a run while the component is there: what is known of it (null until something is), and a sentence about the connection. */
export function useLiveRun(url: string, target: string, token?: string): { live: LiveRun | null; connection: string } {
  const [live, setLive] = useState<LiveRun | null>(null);
  const [connection, setConnection] = useState("Connecting");

  useEffect(() => {
    let maps: Maps;
    const feed = watch(url, target, {
      run(run, _revision, resumed) {
        if (!resumed) maps = new Maps(run);
        setLive((before) => ({ run, maps, rows: resumed && before ? before.rows : 0 }));
      },
      points(block) {
        maps.add(block);
        setLive((before) => before && { ...before, rows: block.firstRow + block.rows });
      },
      refused: (_code, message) => setConnection(message),
    }, { token, connection: (_state, sentence) => setConnection(sentence) });
    return () => feed.close();
  }, [url, target, token]);

  return { live, connection };
}
