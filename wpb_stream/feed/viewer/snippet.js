// The lines of Python that load the run on screen.

/**
 * Whatever comes from the run is quoted: it is hostile.
 * @param {import("./client.js").Run} run
 * @param {string} revision
 * @param {URL} feed
 * @param {boolean} withToken whether the feed asks for one
 */
export function snippet(run, revision, feed, withToken) {
  // While a run goes on its revision may yet be begun anew.
  const pinned = run.status === "running" ? "" : `, revision=${JSON.stringify(revision)}`;
  const token = withToken ? `, token=os.environ["WPB_TOKEN"]` : "";
  return `${withToken ? "import os\n\n" : ""}from wpb_stream.client import watch_sync

for update in watch_sync(${JSON.stringify(feed)}, ${JSON.stringify(run.uid)}${pinned}${token}):
    if update.stopped:
        break

maps = {channel.name: update.map(channel.name) for channel in update.run.channels}
print(update.headline(), {name: values.shape for name, values in maps.items()})
`;
}
