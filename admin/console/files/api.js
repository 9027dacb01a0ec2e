// Failure is why a call was not answered as wanted, in words for people.
export class Failure extends Error {
  constructor(status, message, fields = []) {
    super(message)
    this.status = status // 0: no answer
    this.fields = fields
  }
}

const patience = 15_000

// call asks the management API. Whoever is not logged in (any more) is told by an event.
export async function call(method, path, body) {
  let answer
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
      cache: 'no-store',
    })
  } catch (error) {
    throw new Failure(0, error.name === 'TimeoutError' ? 'The bridge did not answer in time.' : 'The bridge cannot be reached.')
  }
  if (answer.status === 401) dispatchEvent(new Event('loggedout'))
  if (!answer.ok) throw await failure(answer)
  return answer.status === 204 ? undefined : answer.json()
}

async function failure(answer) {
  let problem = {}
  try {
    problem = await answer.json()
  } catch {
    // not an answer of the API
  }
  const text = problem.detail || problem.title || `HTTP ${answer.status}`
  return new Failure(answer.status, text.charAt(0).toUpperCase() + text.slice(1) + '.', problem.errors)
}

export const get = (path, query = {}) => call('GET', path + search(query))
export const post = (path, body) => call('POST', path, body)

function search(query) {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString()
  return text && '?' + text
}

// page fetches up to limit items: a part of a list may be short, even empty, and not be the last.
export async function page(path, query, limit) {
  const items = []
  let next = query.cursor
  for (let parts = 0; parts < 4; parts++) {
    const part = await get(path, { ...query, cursor: next, limit: limit - items.length })
    items.push(...part.items)
    next = part.next
    if (!next || items.length >= limit) break
  }
  return { items, next }
}
