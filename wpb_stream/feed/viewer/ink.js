// Strokes.

/**
 * Stroke in white on black, seen over any colour.
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 */
export function twoTone(context, width) {
  context.lineJoin = "round";
  context.lineWidth = width + 2;
  context.strokeStyle = "rgb(0 0 0 / 0.45)";
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = "rgb(255 255 255 / 0.9)";
  context.stroke();
}
