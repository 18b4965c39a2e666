import { Menu as Base } from '@base-ui/react/menu';
import { Check, type LucideIcon } from 'lucide-react';
import type { ReactElement, ReactNode } from 'react';
import { cx } from './cx';

const itemLook =
  'flex h-8 w-full items-center gap-2 rounded-sm px-2 text-fg text-sm outline-none data-disabled:opacity-50 data-highlighted:bg-hover pointer-coarse:h-10';

interface MenuProps {
  trigger: ReactElement<Record<string, unknown>>;
  align?: 'start' | 'end';
  side?: 'top' | 'bottom';
  children: ReactNode;
}

export function Menu({ trigger, align = 'end', side = 'bottom', children }: MenuProps) {
  return (
    <Base.Root>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner sideOffset={4} align={align} side={side} className="z-50">
          <Base.Popup className="popup max-h-[70dvh] min-w-48 overflow-y-auto p-1">{children}</Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

interface MenuItemProps {
  icon?: LucideIcon;
  onSelect: () => void;
  tone?: 'normal' | 'danger';
  disabled?: boolean;
  hint?: ReactNode;
  children: ReactNode;
}

export function MenuItem({ icon: Icon, onSelect, tone = 'normal', disabled, hint, children }: MenuItemProps) {
  return (
    <Base.Item
      onClick={onSelect}
      disabled={disabled}
      className={cx(itemLook, tone === 'danger' && 'text-bad')}
    >
      {Icon && <Icon aria-hidden className={cx('size-4 shrink-0', tone === 'normal' && 'text-fg-3')} />}
      <span className="flex-1 truncate">{children}</span>
      {hint && <span className="text-fg-3 text-xs">{hint}</span>}
    </Base.Item>
  );
}

interface MenuChoiceProps<V extends string> {
  label: string;
  value: V;
  options: readonly { value: V; label: string; icon?: LucideIcon }[];
  onChange: (value: V) => void;
}

export function MenuChoice<V extends string>({ label, value, options, onChange }: MenuChoiceProps<V>) {
  return (
    <Base.RadioGroup value={value} onValueChange={(next: V) => onChange(next)} aria-label={label}>
      {options.map(({ value: option, label: text, icon: Icon }) => (
        <Base.RadioItem key={option} value={option} className={itemLook} closeOnClick={false}>
          {Icon && <Icon aria-hidden className="size-4 shrink-0 text-fg-3" />}
          <span className="flex-1">{text}</span>
          <Base.RadioItemIndicator>
            <Check aria-hidden className="size-3.5 text-accent" />
          </Base.RadioItemIndicator>
        </Base.RadioItem>
      ))}
    </Base.RadioGroup>
  );
}

export function MenuCheck({
  checked,
  onChange,
  children,
}: {
  checked: boolean;
  onChange: (checked: boolean) => void;
  children: ReactNode;
}) {
  return (
    <Base.CheckboxItem checked={checked} onCheckedChange={onChange} closeOnClick={false} className={itemLook}>
      <span className="flex size-4 items-center justify-center">
        <Base.CheckboxItemIndicator>
          <Check aria-hidden className="size-3.5 text-accent" />
        </Base.CheckboxItemIndicator>
      </span>
      <span className="flex-1">{children}</span>
    </Base.CheckboxItem>
  );
}

export function MenuHeading({ children }: { children: ReactNode }) {
  return <div className="px-2 pt-2 pb-1 text-fg-3 text-xs">{children}</div>;
}

export function MenuSeparator() {
  return <Base.Separator className="-mx-1 my-1 h-px bg-line" />;
}
