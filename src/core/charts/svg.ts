import type { ILook, IScene, Mark, Numbers } from './scene';
import { FONT_PX } from './scene';

/** A scene as an SVG file; `colorOf` converts a colour to one that other programs read. */
export function asSvg(
  scene: IScene,
  look: ILook,
  title: string,
  colorOf: (color: string) => string = color => color
): string {
  const { width, height, frame } = scene;
  const clip =
    `<clipPath id="frame"><rect x="${round(frame.left - 1)}" y="${round(frame.top - 1)}" ` +
    `width="${round(frame.width + 2)}" height="${round(frame.height + 2)}"/></clipPath>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
      `font-family="${escaped(look.font)}" font-size="${FONT_PX}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<defs>${clip}</defs>`,
    `<rect width="${width}" height="${height}" fill="${escaped(colorOf(look.background))}"/>`,
    ...scene.marks.map(mark => {
      const shape = shapeOf(mark, escaped(colorOf(mark.color)), colorOf);
      const opacity =
        mark.opacity === undefined ? '' : ` opacity="${mark.opacity}"`;
      const clipped = mark.clipped ? ' clip-path="url(#frame)"' : '';
      return shape && `<g${opacity}${clipped}>${shape}</g>`;
    }),
    '</svg>',
    ''
  ].join('\n');
}

function shapeOf(
  mark: Mark,
  color: string,
  colorOf: (color: string) => string
): string {
  switch (mark.kind) {
    case 'line': {
      const dash = mark.dash?.length
        ? ` stroke-dasharray="${mark.dash.join(' ')}"`
        : '';
      const path = pathOf(mark.x, mark.y);
      return path
        ? `<path d="${path}" fill="none" stroke="${color}" stroke-width="${mark.width}" stroke-linejoin="round"${dash}/>`
        : '';
    }
    case 'area': {
      const [above, below] = [mark.high, mark.low].map(heights =>
        Array.from(
          heights,
          (height, at) => `${round(mark.x[at])} ${round(height)}`
        )
      );
      const path = [...above, ...below.reverse()].join('L');
      return path ? `<path d="M${path}Z" fill="${color}"/>` : '';
    }
    case 'points': {
      const { radius, shape = 'circle' } = mark;
      let all = '';
      for (let at = 0; at < mark.x.length; at++) {
        const x = mark.x[at];
        const y = mark.y[at];
        if (!Number.isFinite(x) || !Number.isFinite(y)) {
          continue;
        }
        const fill = mark.colors ? escaped(colorOf(mark.colors[at])) : color;
        const tip = shape === 'up' ? -radius : radius;
        all +=
          shape === 'circle'
            ? `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" fill="${fill}"/>`
            : `<path d="M${round(x)} ${round(y + tip)}L${round(x - radius)} ${round(y - tip)}H${round(x + radius)}Z" fill="${fill}"/>`;
      }
      return all;
    }
    case 'box':
      return `<rect x="${round(mark.x)}" y="${round(mark.y)}" width="${round(mark.width)}" height="${round(mark.height)}" fill="${color}"/>`;
    case 'text': {
      const place = mark.turned
        ? `transform="translate(${round(mark.x)} ${round(mark.y)}) rotate(-90)"`
        : `x="${round(mark.x)}" y="${round(mark.y)}"`;
      return `<text ${place} dy="0.35em" text-anchor="${mark.align ?? 'start'}" fill="${color}"${mark.bold ? ' font-weight="bold"' : ''}>${escaped(mark.text)}</text>`;
    }
  }
}

function pathOf(x: Numbers, y: Numbers): string {
  let path = '';
  let down = false;
  for (let at = 0; at < x.length; at++) {
    if (!Number.isFinite(y[at]) || !Number.isFinite(x[at])) {
      down = false;
      continue;
    }
    path += `${down ? 'L' : 'M'}${round(x[at])} ${round(y[at])}`;
    down = true;
  }
  return path;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Escape text for XML; characters that XML does not allow are left out. */
export function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}
