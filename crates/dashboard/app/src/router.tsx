import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { toApiError } from '@/api/error';
import { auditSearch } from '@/features/audit/search';
import { batchListSearch, batchSearch } from '@/features/batches/search';
import { deliverySearch } from '@/features/deliveries/search';
import { jobListSearch, newJobSearch } from '@/features/jobs/search';
import { OverviewPage } from '@/features/overview/overview';
import { projectsSearch } from '@/features/projects/search';
import { rangeSearch } from '@/features/servers/range';
import { serverListSearch } from '@/features/servers/search';
import { teamSearch } from '@/features/team/search';
import { BrokenPage, NotFoundPage, PendingPage } from '@/shell/fallback';
import { Layout } from '@/shell/layout';
import { queryClient } from '@/shell/query-client';
import { sessionQuery, setupQuery } from '@/shell/session';

const root = createRootRoute({
  component: Outlet,
  errorComponent: ({ error, reset }) => <BrokenPage error={error} reset={reset} />,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search: Record<string, unknown>): { next?: string } =>
    typeof search.next === 'string' ? { next: search.next } : {},
  component: lazyRouteComponent(() => import('@/features/auth/sign-in'), 'SignInPage'),
});

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  component: lazyRouteComponent(() => import('@/features/auth/setup'), 'SetupPage'),
});

const forgotPassword = createRoute({
  getParentRoute: () => root,
  path: '/forgot-password',
  component: lazyRouteComponent(() => import('@/features/auth/forgot'), 'ForgotPasswordPage'),
});

const resetPassword = createRoute({
  getParentRoute: () => root,
  path: '/reset-password',
  component: lazyRouteComponent(() => import('@/features/auth/reset'), 'ResetPasswordPage'),
});

const changeEmail = createRoute({
  getParentRoute: () => root,
  path: '/change-email',
  component: lazyRouteComponent(() => import('@/features/auth/change-email'), 'ChangeEmailPage'),
});

const invite = createRoute({
  getParentRoute: () => root,
  path: '/invite',
  component: lazyRouteComponent(() => import('@/features/invite/accept'), 'InvitePage'),
});

/** Everything below needs a session; without one the way leads to signing in, or to set-up on a fresh hub, and back. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  component: Layout,
  beforeLoad: async ({ location }) => {
    try {
      await queryClient.ensureQueryData(sessionQuery);
    } catch (thrown) {
      if (toApiError(thrown).status !== 401) throw thrown;
      const { needs_setup } = await queryClient.fetchQuery(setupQuery);
      if (needs_setup) throw redirect({ to: '/setup' });
      throw redirect({ to: '/sign-in', search: location.href === '/' ? {} : { next: location.href } });
    }
  },
});

const overview = createRoute({ getParentRoute: () => inside, path: '/', component: OverviewPage });

const servers = createRoute({
  getParentRoute: () => inside,
  path: '/servers',
  validateSearch: serverListSearch,
  component: lazyRouteComponent(() => import('@/features/servers/list'), 'ServersPage'),
});

const newServer = createRoute({
  getParentRoute: () => inside,
  path: '/servers/new',
  validateSearch: (
    search: Record<string, unknown>,
  ): { token?: string; server?: string; project?: string } => ({
    ...(typeof search.token === 'string' ? { token: search.token } : {}),
    ...(typeof search.server === 'string' ? { server: search.server } : {}),
    ...(typeof search.project === 'string' ? { project: search.project } : {}),
  }),
  component: lazyRouteComponent(() => import('@/features/servers/wizard'), 'AddServerPage'),
});

const server = createRoute({
  getParentRoute: () => inside,
  path: '/servers/$serverId',
  component: lazyRouteComponent(() => import('@/features/servers/detail'), 'ServerPage'),
});

const serverMetrics = createRoute({
  getParentRoute: () => server,
  path: '/',
  validateSearch: rangeSearch,
  component: lazyRouteComponent(() => import('@/features/servers/metrics-tab'), 'MetricsTab'),
});

const serverJobs = createRoute({
  getParentRoute: () => server,
  path: '/jobs',
  validateSearch: jobListSearch,
  component: lazyRouteComponent(() => import('@/features/servers/jobs-tab'), 'JobsTab'),
});

const serverActivity = createRoute({
  getParentRoute: () => server,
  path: '/activity',
  component: lazyRouteComponent(() => import('@/features/servers/activity-tab'), 'ActivityTab'),
});

const serverPolicy = createRoute({
  getParentRoute: () => server,
  path: '/policy',
  component: lazyRouteComponent(() => import('@/features/servers/policy/tab'), 'PolicyTab'),
});

const jobs = createRoute({
  getParentRoute: () => inside,
  path: '/jobs',
  validateSearch: jobListSearch,
  component: lazyRouteComponent(() => import('@/features/jobs/list'), 'JobsPage'),
});

const newJob = createRoute({
  getParentRoute: () => inside,
  path: '/jobs/new',
  validateSearch: newJobSearch,
  component: lazyRouteComponent(() => import('@/features/jobs/form'), 'RunCommandPage'),
});

const job = createRoute({
  getParentRoute: () => inside,
  path: '/jobs/$jobId',
  component: lazyRouteComponent(() => import('@/features/jobs/detail'), 'JobPage'),
});

const batches = createRoute({
  getParentRoute: () => inside,
  path: '/batches',
  validateSearch: batchListSearch,
  component: lazyRouteComponent(() => import('@/features/batches/list'), 'BatchesPage'),
});

const batch = createRoute({
  getParentRoute: () => inside,
  path: '/batches/$batchId',
  validateSearch: batchSearch,
  component: lazyRouteComponent(() => import('@/features/batches/detail'), 'BatchPage'),
});

const projects = createRoute({
  getParentRoute: () => inside,
  path: '/projects',
  validateSearch: projectsSearch,
  component: lazyRouteComponent(() => import('@/features/projects/list'), 'ProjectsPage'),
});

const team = createRoute({
  getParentRoute: () => inside,
  path: '/team',
  validateSearch: teamSearch,
  component: lazyRouteComponent(() => import('@/features/team/list'), 'TeamPage'),
});

const member = createRoute({
  getParentRoute: () => inside,
  path: '/team/members/$memberId',
  component: lazyRouteComponent(() => import('@/features/team/member'), 'MemberPage'),
});

const audit = createRoute({
  getParentRoute: () => inside,
  path: '/audit',
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import('@/features/audit/list'), 'AuditPage'),
});

const settings = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: lazyRouteComponent(() => import('@/features/workspaces/settings'), 'WorkspaceSettingsPage'),
});

const webhooks = createRoute({
  getParentRoute: () => inside,
  path: '/settings/webhooks',
  component: lazyRouteComponent(() => import('@/features/webhooks/list'), 'WebhooksPage'),
});

const webhook = createRoute({
  getParentRoute: () => inside,
  path: '/settings/webhooks/$webhookId',
  component: lazyRouteComponent(() => import('@/features/webhooks/detail'), 'WebhookPage'),
});

const deliveries = createRoute({
  getParentRoute: () => inside,
  path: '/settings/deliveries',
  validateSearch: deliverySearch,
  component: lazyRouteComponent(() => import('@/features/deliveries/list'), 'DeliveriesPage'),
});

const delivery = createRoute({
  getParentRoute: () => inside,
  path: '/settings/deliveries/$deliveryId',
  component: lazyRouteComponent(() => import('@/features/deliveries/detail'), 'DeliveryPage'),
});

const hub = createRoute({
  getParentRoute: () => inside,
  path: '/settings/hub',
  component: lazyRouteComponent(() => import('@/features/installation/hub'), 'HubPage'),
});

const account = createRoute({
  getParentRoute: () => inside,
  path: '/account',
  component: lazyRouteComponent(() => import('@/features/account/account'), 'AccountPage'),
});

const unknown = createRoute({ getParentRoute: () => inside, path: '$', component: NotFoundPage });

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    setup,
    forgotPassword,
    resetPassword,
    changeEmail,
    invite,
    inside.addChildren([
      overview,
      servers,
      newServer,
      server.addChildren([serverMetrics, serverJobs, serverPolicy, serverActivity]),
      jobs,
      newJob,
      job,
      batches,
      batch,
      projects,
      team,
      member,
      audit,
      settings,
      webhooks,
      webhook,
      deliveries,
      delivery,
      hub,
      account,
      unknown,
    ]),
  ]),
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
  defaultPendingComponent: PendingPage,
  defaultPendingMs: 300,
  defaultNotFoundComponent: NotFoundPage,
  defaultErrorComponent: ({ error, reset }) => <BrokenPage error={error} reset={reset} />,
  scrollRestoration: true,
  // Filters read as `?status=online,offline`, not as encoded JSON.
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(search)) {
      if (value !== undefined && value !== null && value !== '') query.set(name, String(value));
    }
    const text = query.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
    return text === '' ? '' : `?${text}`;
  },
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
