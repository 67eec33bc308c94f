// Where a scan is going to go.

/** @typedef {import("./model.js").RunModel} RunModel */

/**
 * The cell of a point of a grid, as the server reckons it (`Grid.cells`): every second pass along an axis that is snaked goes backwards.
 * @param {RunModel} model
 * @param {number} point
 */
function cellOf({ run, shape, size }, point) {
  let below = size;
  return shape.reduce((cell, length, dimension) => {
    below /= length;
    const steps = Math.floor(point / below);
    const index = steps % length;
    const backwards = run.axes?.[dimension]?.snaking && Math.floor(steps / length) % 2 === 1;
    return cell + (backwards ? length - 1 - index : index) * below;
  }, 0);
}

/**
 * The cells of the points that have not been measured yet, in their order.
 * @param {RunModel} model
 * @returns {number[]} empty where the points do not follow the grid, or are too many to be drawn
 */
export function planned(model) {
  const { size, pointsExpected, points, cells, rows, seen } = model;
  if (pointsExpected !== size || size > 2 ** 18) return [];
  for (let row = Math.max(0, rows - 64); row < rows; row++) if (cellOf(model, points[row]) !== cells[row]) return [];
  const ahead = [];
  for (let point = 0; point < size; point++) if (!seen[point]) ahead.push(cellOf(model, point));
  return ahead;
}
