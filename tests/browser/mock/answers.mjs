// Refusals and lists in the hub's shapes.
export const account = { code: 'anchor-4821', email: 'ada@example.net', name: 'Ada Byron', password: 'correct horse battery', workspace: 'Harbour Ltd' };

export class HttpError extends Error {
  constructor(status, code, message, details) {
    super(message);
    Object.assign(this, { status, code, details });
  }
}

export const notFound = () => new HttpError(404, 'not_found', 'there is nothing with this id');
export const conflict = (message) => new HttpError(409, 'conflict', message);

/** A field that is not acceptable. */
export function invalid(field, problem) {
  return new HttpError(422, 'validation_failed', `${field} ${problem}`, { fields: { [field]: [problem] } });
}

/** A page of a list by `limit` and `cursor`. */
export function page(rows, query) {
  const start = Number(query.get('cursor') ?? 0);
  const limit = Number(query.get('limit') ?? 50);
  return { data: rows.slice(start, start + limit), next_cursor: start + limit < rows.length ? String(start + limit) : null };
}
