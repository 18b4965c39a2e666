// Types only: a file that uses such words imports `@/i18n/lazy/…` for them to be there (`lazy.test.ts` checks it).
import type { settings } from './settings';

export interface LazyWords {
  settings: typeof settings;
}
