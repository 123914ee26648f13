/** Text with a terminal's colours. */
export interface ISpan {
  text: string;
  className: string;
  style?: { color?: string; backgroundColor?: string };
}

const NAMES = [
  'black',
  'red',
  'green',
  'yellow',
  'blue',
  'magenta',
  'cyan',
  'white'
];
// Colours and styles; a terminal's other sequences (cursor, title, links) are
// dropped.
const ESCAPES =
  // eslint-disable-next-line no-control-regex
  /\x1b(?:\[([0-9;:]*)m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;

/** Reads lines in order: a colour lasts until it changes, also over lines. */
export class AnsiReader {
  read(line: string): ISpan[] {
    const spans: ISpan[] = [];
    let start = 0;
    for (const match of line.matchAll(ESCAPES)) {
      this._push(spans, line.slice(start, match.index));
      start = match.index + match[0].length;
      if (match[1] !== undefined) {
        this._change(match[1].split(/[;:]/).map(Number));
      }
    }
    this._push(spans, line.slice(start));
    return spans;
  }

  private _push(spans: ISpan[], text: string): void {
    if (!text) {
      return;
    }
    const [fg, bg] = this._inverse
      ? [this._bg ?? 'inverse', this._fg ?? 'inverse']
      : [this._fg, this._bg];
    const classes = [...this._styles].map(style => `ansi-${style}`);
    const style: ISpan['style'] = {};
    if (fg === 'inverse') {
      classes.push('ansi-default-inverse-fg');
    } else if (fg?.startsWith('rgb')) {
      style.color = fg;
    } else if (fg) {
      classes.push(`ansi-${fg}-fg`);
    }
    if (bg === 'inverse') {
      classes.push('ansi-default-inverse-bg');
    } else if (bg?.startsWith('rgb')) {
      style.backgroundColor = bg;
    } else if (bg) {
      classes.push(`ansi-${bg}-bg`);
    }
    spans.push({ text, className: classes.join(' '), style });
  }

  private _change(codes: number[]): void {
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i];
      if (code === 0) {
        this._fg = this._bg = null;
        this._inverse = false;
        this._styles.clear();
      } else if (code === 1) {
        this._styles.add('bold');
      } else if (code === 4) {
        this._styles.add('underline');
      } else if (code === 7) {
        this._inverse = true;
      } else if (code === 21 || code === 22) {
        this._styles.delete('bold');
      } else if (code === 24) {
        this._styles.delete('underline');
      } else if (code === 27) {
        this._inverse = false;
      } else if (code === 39) {
        this._fg = null;
      } else if (code === 49) {
        this._bg = null;
      } else if (code === 38 || code === 48) {
        const [colour, used] = extended(codes.slice(i + 1));
        i += used;
        if (code === 38) {
          this._fg = colour;
        } else {
          this._bg = colour;
        }
      } else if (code >= 30 && code <= 37) {
        this._fg = NAMES[code - 30];
      } else if (code >= 40 && code <= 47) {
        this._bg = NAMES[code - 40];
      } else if (code >= 90 && code <= 97) {
        this._fg = `${NAMES[code - 90]}-intense`;
      } else if (code >= 100 && code <= 107) {
        this._bg = `${NAMES[code - 100]}-intense`;
      }
    }
  }

  private _fg: string | null = null;
  private _bg: string | null = null;
  private _inverse = false;
  private _styles = new Set<'bold' | 'underline'>();
}

/** The colour after 38 or 48, and the count of numbers that it took. */
function extended(codes: number[]): [string | null, number] {
  const [kind, a = 0, g = 0, b = 0] = codes;
  if (kind === 2) {
    return [`rgb(${a}, ${g}, ${b})`, 4];
  }
  if (kind !== 5) {
    return [null, 0];
  }
  if (a < 16) {
    return [`${NAMES[a % 8]}${a >= 8 ? '-intense' : ''}`, 2];
  }
  if (a >= 232) {
    const grey = (a - 232) * 10 + 8;
    return [`rgb(${grey}, ${grey}, ${grey})`, 2];
  }
  const level = (step: number) => (step === 0 ? 0 : step * 40 + 55);
  const index = a - 16;
  const parts = [Math.floor(index / 36), Math.floor(index / 6) % 6, index % 6];
  return [`rgb(${parts.map(level).join(', ')})`, 2];
}
