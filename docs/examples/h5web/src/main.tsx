import "@h5web/lib/styles.css";
import { createRoot } from "react-dom/client";
import { LiveMap } from "./LiveMap";
import { useLiveRun } from "./useLiveRun";

const asked = new URLSearchParams(location.search);

function App() {
  const { live, connection } = useLiveRun(asked.get("feed") ?? "ws://127.0.0.1:8000/ws", asked.get("run") ?? "latest");
  if (!live) return <p>{connection}</p>;
  if (live.run.shape.length !== 2) return <p>Run {live.run.scan_id} is no map of two dimensions.</p>;
  return (
    <main data-run={live.run.uid} data-rows={live.rows}>
      <LiveMap live={live} channel={asked.get("channel") ?? live.run.channels[0].name} />
    </main>
  );
}

createRoot(document.getElementById("root")!).render(<App />);
