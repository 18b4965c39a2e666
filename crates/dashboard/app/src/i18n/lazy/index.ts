// Types only: a file that uses such words imports `@/i18n/lazy/…` for them to be there (`lazy.test.ts` checks it).
import type { action_areas, actions } from './actions';
import type { deliveries } from './deliveries';
import type { factors } from './factors';
import type { settings } from './settings';
import type { webhooks } from './webhooks';

export interface LazyWords {
  action_areas: typeof action_areas;
  actions: typeof actions;
  deliveries: typeof deliveries;
  factors: typeof factors;
  settings: typeof settings;
  webhooks: typeof webhooks;
}
