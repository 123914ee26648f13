import type { ILook } from '../scene';

/** A theme for pictures that no node has. */
export const LOOK: ILook = {
  text: '#111',
  faint: '#666',
  grid: '#ccc',
  accent: '#00f',
  error: '#f00',
  series: ['#00f', '#f80', '#080'],
  background: '#fff',
  font: 'sans-serif'
};
