import { call } from './api.js'
import { el, setText } from './dom.js'
import { live } from './live.js'
import { notify } from './notices.js'

// A view is made of what its address says, by a function of its file: list for all there is, one for a
// single thing. What that returns is {title, element, focus?, close?}.
const views = new Map([
  ['', { file: () => import('./views/overview.js'), list: 'overview' }],
  ['sessions', { file: () => import('./views/sessions.js'), list: 'sessions', one: 'session' }],
  ['subscriptions', { file: () => import('./views/subscriptions.js'), list: 'subscriptions', one: 'subscription' }],
  ['deliveries', { file: () => import('./views/deliveries.js'), list: 'deliveries', one: 'delivery' }],
  ['schedule', { file: () => import('./views/schedule.js'), list: 'schedule' }],
  ['replicas', { file: () => import('./views/replicas.js'), list: 'replicas' }],
])
const restAfter = 1000 // ms: the files of the other views come when the first one was painted, so that they are there when the bridge is not

const main = document.getElementById('main')
const nav = document.getElementById('views')
const logout = document.getElementById('logout')
const connection = document.getElementById('connection')
let shown
let routed = 0

function show(view) {
  shown?.close?.()
  shown = view
  document.title = `${view.title} · pollbridge`
  const heading = el('h1', { tabindex: '-1' }, view.title)
  main.replaceChildren(heading, view.element)
  ;(view.focus ?? heading).focus({ preventScroll: true })
  scrollTo(0, 0)
}

// where is what the address names: a view, one of its list, and what is asked of it.
function where() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?')
  const [name, id] = path.split('/')
  return { name, id, query, view: views.get(name) }
}

async function route() {
  const mine = ++routed
  const { name, id, query, view } = where()
  for (const link of nav.children) {
    if (link.getAttribute('href') === '#/' + name) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  const make = id ? view?.one : view?.list
  if (!make) return show({ title: 'Nothing here', element: el('p', {}, 'There is no such page. ', el('a', { href: '#/' }, 'Go to the overview.')) })
  const file = await view.file().catch(() => undefined)
  if (mine !== routed) return // somebody has gone on
  if (!file) return show({ title: 'No connection', element: el('div', {}, el('p', {}, 'The bridge did not answer with this page.'), el('button', { click: () => location.reload() }, 'Try again')) })
  show(file[make](id ? decodeURIComponent(id) : Object.fromEntries(new URLSearchParams(query))))
}

const fetchAhead = (view) => view?.file().catch(() => {}) // who goes there is told

async function begin(stats) {
  nav.hidden = logout.hidden = false
  live.start(stats)
  await route()
  setTimeout(() => views.forEach(fetchAhead), restAfter)
}

// end forgets all that the page knows.
function end() {
  if (!nav.hidden) location.reload()
}

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault()
  main.focus()
})
logout.addEventListener('click', async () => {
  try {
    await call('POST', '/logout')
  } catch (failure) {
    return notify(`Log out: ${failure.message}`, true)
  }
  end()
})
addEventListener('hashchange', () => nav.hidden || route())
addEventListener('loggedout', end)

live.addEventListener('stats', () => {
  setText(connection, 'Live')
  connection.className = 'good'
})
live.addEventListener('lost', () => {
  setText(connection, 'No connection')
  connection.className = 'bad'
  notify(`${live.failure.message} Trying again every second.`, true)
})
live.addEventListener('back', () => {
  document.getElementById('notices').replaceChildren()
  notify('The bridge is back.')
})
live.addEventListener('news', ({ detail }) => {
  for (const { type, subject, reason } of detail) {
    if (type === 'subscription.failing') notify(`Every attempt for ${subject} has failed for a long time.`, true)
    if (type === 'subscription.disabled') notify(`${subject} was disabled${reason ? `: ${reason}` : ''}.`, true)
  }
})

// Whether somebody is logged in, only the bridge can tell.
try {
  fetchAhead(where().view)
  begin(await call('GET', '/v1/stats'))
} catch (failure) {
  if (failure.status === 401) show((await import('./views/login.js')).login(() => begin()))
  else begin()
}
