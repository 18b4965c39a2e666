import type { DeliveryChannel, DeliveryState } from '@/api/types';

export const STATES = ['waiting', 'delivered', 'failed'] as const satisfies readonly DeliveryState[];
export const CHANNELS = ['webhook', 'mail'] as const satisfies readonly DeliveryChannel[];

export interface DeliverySearch {
  state?: DeliveryState;
  channel?: DeliveryChannel;
  webhook?: string;
}

export function deliverySearch(search: Record<string, unknown>): DeliverySearch {
  const state = STATES.find((one) => one === search.state);
  const channel = CHANNELS.find((one) => one === search.channel);
  return {
    ...(state ? { state } : {}),
    ...(channel ? { channel } : {}),
    ...(typeof search.webhook === 'string' && search.webhook !== '' ? { webhook: search.webhook } : {}),
  };
}
