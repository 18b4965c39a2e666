import type { ExecArgs, Policy, PolicyRules, Tier } from '@/api/types';

export const TIERS = ['read', 'typed', 'root'] as const satisfies readonly Tier[];
export const RULES = ['tiers', 'kinds', 'users', 'paths', 'require_operator_signature'] as const;
export type Rule = (typeof RULES)[number];

/** Every kind that exists so far takes the power of root. */
const TIER_OF_KIND: Readonly<Record<string, Tier>> = { exec: 'root' };

/** One rule: what holds, and what each side says about it. Null is "not restricted". */
export interface RuleInForce {
  rule: Rule;
  inForce: readonly string[] | null;
  file: readonly string[] | null;
  hub: readonly string[] | null;
}

/** The policy rule by rule. What holds is what the file and the hub both allow; signatures are wanted when either says so. */
export function rulesInForce(policy: Policy): RuleInForce[] {
  return RULES.map((rule) => {
    const file = listOf(policy.file, rule);
    const hub = listOf(policy.hub, rule);
    return { rule, file, hub, inForce: combined(rule, file, hub) };
  });
}

/** Whether anything is restricted at all. */
export function isOpen(policy: Policy): boolean {
  return policy.source !== 'unreadable' && rulesInForce(policy).every(({ inForce }) => inForce === null);
}

/** A rule's list; an empty wish for signatures is none, while an empty list of what is allowed allows nothing. */
export function listOf(rules: PolicyRules | null | undefined, rule: Rule): readonly string[] | null {
  const list = rules?.[rule] ?? null;
  return rule === 'require_operator_signature' && list?.length === 0 ? null : list;
}

export interface Forbidden {
  by: 'file' | 'hub' | 'both' | 'unreadable';
  rule: Rule | null;
}

/** Who refuses such a job, by the policy as it is now; null when nothing does any more. */
export function whoForbids(policy: Policy, job: { kind: string; args: ExecArgs }): Forbidden | null {
  if (policy.source === 'unreadable') return { by: 'unreadable', rule: null };
  for (const rule of RULES) {
    if (rule === 'require_operator_signature') continue;
    const file = !allows(listOf(policy.file, rule), rule, job);
    const hub = !allows(listOf(policy.hub, rule), rule, job);
    if (file || hub) return { by: file && hub ? 'both' : file ? 'file' : 'hub', rule };
  }
  return null;
}

function allows(
  list: readonly string[] | null,
  rule: Rule,
  { kind, args }: { kind: string; args: ExecArgs },
): boolean {
  if (list === null) return true;
  switch (rule) {
    case 'tiers':
      return list.includes(TIER_OF_KIND[kind] ?? 'root');
    case 'kinds':
      return list.includes(kind);
    case 'users':
      return list.includes(args.user ?? 'root');
    case 'paths':
      return !args.cwd || list.some((root) => isWithin(args.cwd ?? '', root));
    case 'require_operator_signature':
      return true;
  }
}

function combined(
  rule: Rule,
  file: readonly string[] | null,
  hub: readonly string[] | null,
): readonly string[] | null {
  if (file === null || hub === null) return file ?? hub;
  if (rule === 'require_operator_signature') return TIERS.filter((t) => file.includes(t) || hub.includes(t));
  if (rule !== 'paths') return file.filter((one) => hub.includes(one));
  const narrow = (inner: readonly string[], outer: readonly string[]) =>
    inner.filter((path) => outer.some((root) => isWithin(path, root)));
  return [...new Set([...narrow(file, hub), ...narrow(hub, file)])];
}

/** Whether `path` is `root` or lies below it. */
function isWithin(path: string, root: string): boolean {
  const base = root.replace(/\/+$/, '');
  return path === root || path === base || path.startsWith(`${base}/`);
}

export interface RestrictionValues extends Record<string, unknown> {
  tiers: readonly Tier[];
  limitKinds: boolean;
  kinds: string;
  limitUsers: boolean;
  users: string;
  limitPaths: boolean;
  /** One a line. */
  paths: string;
  sign: readonly Tier[];
}

/** The form as the hub's rules stand; what the file forbids is not ticked. */
export function valuesOf(rules: PolicyRules | null, file: PolicyRules | null): RestrictionValues {
  const text = (rule: 'kinds' | 'users', separator: string) => (rules?.[rule] ?? []).join(separator);
  const fileTiers = listOf(file, 'tiers');
  const hubTiers = listOf(rules, 'tiers');
  return {
    tiers: TIERS.filter((t) => (fileTiers?.includes(t) ?? true) && (hubTiers?.includes(t) ?? true)),
    limitKinds: rules?.kinds != null,
    kinds: text('kinds', ', '),
    limitUsers: rules?.users != null,
    users: text('users', ', '),
    limitPaths: rules?.paths != null,
    paths: (rules?.paths ?? []).join('\n'),
    sign: TIERS.filter(
      (t) => file?.require_operator_signature?.includes(t) || rules?.require_operator_signature?.includes(t),
    ),
  };
}

/** The rules that the hub has to set; what the file says anyway is left to the file. */
export function rulesOf(values: RestrictionValues, file: PolicyRules | null): PolicyRules {
  const fileTiers = listOf(file, 'tiers') ?? TIERS;
  const sign = values.sign.filter((t) => !file?.require_operator_signature?.includes(t));
  const isNarrower = fileTiers.some((t) => !values.tiers.includes(t as Tier));
  return {
    ...(isNarrower ? { tiers: [...values.tiers] } : {}),
    ...(values.limitKinds ? { kinds: words(values.kinds) } : {}),
    ...(values.limitUsers ? { users: words(values.users) } : {}),
    ...(values.limitPaths ? { paths: pathsIn(values.paths) } : {}),
    ...(sign.length > 0 ? { require_operator_signature: sign } : {}),
  };
}

export function words(text: string): string[] {
  return [...new Set(text.split(/[,\s]+/).filter(Boolean))];
}

export function pathsIn(text: string): string[] {
  return [
    ...new Set(
      text
        .split('\n')
        .map((line) => line.trim())
        .filter(Boolean),
    ),
  ];
}
