import { useEffect } from 'react';
import { api, checked } from '@/api/client';
import { liveServers } from '@/shell/live';

const TTL_S = 30;
const RENEW_MS = 20_000;

/** Asks the hub for a sample a second while somebody looks, and keeps what comes. Nobody looks at a hidden tab. */
export function useWatch(serverId: string): void {
  useEffect(() => {
    const stopRecording = liveServers.record(serverId);
    const renew = () => {
      if (document.visibilityState !== 'visible') return;
      // A refusal or a lost hub shows elsewhere; without a watch the samples just come slower.
      void checked(
        api.POST('/v1/servers/{id}/watch', {
          params: { path: { id: serverId } },
          body: { interval_ms: 1_000, ttl_s: TTL_S },
        }),
      ).catch(() => {});
    };
    renew();
    const timer = setInterval(renew, RENEW_MS);
    document.addEventListener('visibilitychange', renew);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', renew);
      stopRecording();
    };
  }, [serverId]);
}
