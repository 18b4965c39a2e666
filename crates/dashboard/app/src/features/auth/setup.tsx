import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Navigate, useNavigate } from '@tanstack/react-router';
import { api, unwrap } from '@/api/client';
import { toApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { ErrorState, InlineError } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { OuterPage } from '@/shell/outer';
import { sessionQuery, setupQuery } from '@/shell/session';
import { MIN_PASSWORD, type SetupValues, validateSetup } from './validate';

export function SetupPage() {
  const setup = useQuery(setupQuery);
  if (setup.isPending) return null;
  if (setup.isError) {
    return (
      <OuterPage title={t('auth.setup_title')}>
        <ErrorState error={toApiError(setup.error)} onRetry={() => void setup.refetch()} />
      </OuterPage>
    );
  }
  return setup.data.needs_setup ? <SetupForm /> : <Navigate to="/sign-in" replace />;
}

function SetupForm() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const form = useForm({
    initial: {
      code: '',
      email: '',
      name: '',
      password: '',
      workspace: '',
    } satisfies SetupValues as SetupValues,
    validate: validateSetup,
    submit: async ({ code, email, name, password, workspace }) => {
      const body = {
        code: code.trim(),
        email: email.trim(),
        name: name.trim(),
        password,
        workspace: workspace.trim(),
      };
      await unwrap(api.POST('/v1/setup', { body }));
      return client.fetchQuery({ ...sessionQuery, staleTime: 0 });
    },
    onDone: () => {
      client.setQueryData(setupQuery.queryKey, { needs_setup: false });
      void navigate({ to: '/' });
    },
  });
  const field = (name: 'code' | 'email' | 'name' | 'password' | 'workspace') => ({
    value: form.values[name],
    onChange: (event: { target: { value: string } }) => form.set(name, event.target.value),
  });
  return (
    <OuterPage
      title={t('auth.setup_title')}
      description={t('auth.setup_body')}
      footer={
        <Link to="/sign-in" className="underline hover:text-fg">
          {t('auth.have_account')}
        </Link>
      }
    >
      <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
        <Field label={t('auth.code')} hint={t('auth.code_hint')} error={form.errors.code}>
          <Input
            autoComplete="one-time-code"
            spellCheck={false}
            autoFocus
            className="font-mono"
            {...field('code')}
          />
        </Field>
        <Field label={t('auth.name')} error={form.errors.name}>
          <Input autoComplete="name" {...field('name')} />
        </Field>
        <Field label={t('auth.email')} error={form.errors.email}>
          <Input type="email" autoComplete="username" {...field('email')} />
        </Field>
        <Field
          label={t('auth.password')}
          hint={t('auth.password_hint', { length: MIN_PASSWORD })}
          error={form.errors.password}
        >
          <Input type="password" autoComplete="new-password" {...field('password')} />
        </Field>
        <Field label={t('auth.workspace')} hint={t('auth.workspace_hint')} error={form.errors.workspace}>
          <Input autoComplete="organization" {...field('workspace')} />
        </Field>
        {form.failure && <InlineError error={form.failure} />}
        <Button type="submit" tone="primary" busy={form.busy} className="w-full">
          {t('auth.create_owner')}
        </Button>
      </form>
    </OuterPage>
  );
}
