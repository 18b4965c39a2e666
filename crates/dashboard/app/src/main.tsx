import { CSPProvider } from '@base-ui/react/csp-provider';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { setForbiddenHandler, setUnauthenticatedHandler } from '@/api/client';
import { ApiError } from '@/api/error';
import { TooltipProvider } from '@/kit/tooltip';
import { router } from '@/router';
import { queryClient } from '@/shell/query-client';
import { renewSession, sessionQuery } from '@/shell/session';
import './styles/app.css';

setUnauthenticatedHandler(() => {
  // Only a session that was there can end; the guard itself asks before there is one.
  if (queryClient.getQueryData(sessionQuery.queryKey) === undefined) return;
  queryClient.removeQueries({ queryKey: sessionQuery.queryKey });
  void router.invalidate();
});

const ASK_AGAIN_MS = 5_000;

setForbiddenHandler(() => {
  // Not when the session itself was refused, nor for each of many refusals at once.
  const known = queryClient.getQueryState(sessionQuery.queryKey);
  if (known?.status !== 'success' || known.fetchStatus !== 'idle') return;
  if (Date.now() - known.dataUpdatedAt < ASK_AGAIN_MS) return;
  void renewSession(queryClient);
});

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
createRoot(root, {
  // A refusal is shown on the page where it happened; only faults of our own belong in the console.
  onCaughtError: (error) => {
    if (!(error instanceof ApiError)) console.error(error);
  },
}).render(
  <StrictMode>
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={queryClient}>
        <TooltipProvider delay={400}>
          <RouterProvider router={router} />
        </TooltipProvider>
      </QueryClientProvider>
    </CSPProvider>
  </StrictMode>,
);
