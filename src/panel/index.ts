export * from './panel';
export * from './plugin';
export * from './section';
export * from './section-states';
export * from './tokens';
export * from './when-seen';
