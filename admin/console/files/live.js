import { get } from './api.js'

// Figures come once a second, events as they happen. Nothing comes while nobody looks: then
// the page goes on where it was, without a gap in the events.

const interval = 1000
export const kept = 600 // samples: ten minutes
const types = [
  'session.pending', 'session.succeeded', 'session.refused', 'session.expired', 'session.failed', 'session.not_found',
  'session.abandoned', 'subscription.failing', 'subscription.disabled',
]

// Live tells of 'stats', 'news' (with the events of the last moment), 'lost' and 'back'.
class Live extends EventTarget {
  // samples are columns: time, polls asked a second, polls sent a second, milliseconds an answer
  // of the upstream takes, failures a second.
  samples = [[], [], [], [], []]
  stats = undefined
  lostSince = undefined
  news = []
  #running = false
  #awake // what tells one waking from another; undefined: asleep
  #stream
  #position // of the last event

  constructor() {
    super()
    document.addEventListener('visibilitychange', () => {
      if (!this.#running) return
      if (document.hidden) this.#sleep()
      else this.#wake()
    })
  }

  // start begins, with figures that are known already if there are any.
  start(stats) {
    this.#running = true
    if (!document.hidden) this.#wake(stats)
  }

  // every calls f at each nth time that figures come, until what it returns is called.
  every(n, f) {
    let ticks = 0
    const tick = () => ++ticks % n === 0 && f()
    this.addEventListener('stats', tick)
    return () => this.removeEventListener('stats', tick)
  }

  async #wake(known) {
    const mine = (this.#awake = {})
    this.#add(Date.now() / 1000, null, null, null, null) // nothing is known of the time before
    while (this.#awake === mine) {
      await this.#tick(() => this.#awake === mine, known)
      known = undefined
      await new Promise((over) => setTimeout(over, interval))
    }
  }

  #sleep() {
    this.#awake = this.stats = undefined
    this.#stream?.close()
    this.#stream = undefined
  }

  async #tick(awake, known) {
    try {
      const stats = known ?? (await get('/v1/stats'))
      if (!awake()) return
      this.#take(stats)
      await this.#follow(awake)
    } catch (failure) {
      if (awake() && failure.status !== 401) this.#lose(failure)
    }
    if (awake()) this.#tellNews()
  }

  #take(stats) {
    const now = Date.now() / 1000
    const before = this.stats
    if (before && before.started_at === stats.started_at) {
      const seconds = Math.max(0.1, now - this.at)
      const answered = stats.upstream.answered - before.upstream.answered
      this.#add(
        now,
        (stats.polls.asked - before.polls.asked) / seconds,
        (stats.polls.sent - before.polls.sent) / seconds,
        answered > 0 ? (1000 * (stats.upstream.seconds - before.upstream.seconds)) / answered : null,
        (stats.upstream.failed - before.upstream.failed) / seconds,
      )
    }
    this.at = now
    this.stats = stats
    if (this.lostSince) {
      this.lostSince = undefined
      this.dispatchEvent(new Event('back'))
    }
    this.dispatchEvent(new Event('stats'))
  }

  #add(...sample) {
    sample.forEach((value, i) => {
      this.samples[i].push(value)
      if (this.samples[i].length > kept) this.samples[i].shift()
    })
  }

  #lose(failure) {
    if (this.lostSince) return
    this.lostSince = new Date()
    this.failure = failure
    this.stats = undefined
    this.#add(Date.now() / 1000, null, null, null, null)
    this.dispatchEvent(new Event('lost'))
  }

  // follow opens the stream where it is not open, after the last event that was heard of. Where
  // events after that may be missing, it begins anew: the lists are fetched in any case.
  async #follow(awake) {
    if (this.#stream && this.#stream.readyState !== EventSource.CLOSED) return
    try {
      const { next } = await get('/v1/events', { after: this.#position ?? 'latest', limit: 1 })
      this.#position ??= next
    } catch (failure) {
      if (![410, 422].includes(failure.status)) throw failure
      this.#position = undefined
      return // until the next tick
    }
    if (!awake()) return
    this.#stream = new EventSource('/v1/events/stream?after=' + encodeURIComponent(this.#position))
    for (const type of types) this.#stream.addEventListener(type, (message) => this.#hear(message))
  }

  #hear(message) {
    this.#position = message.lastEventId
    const { type, subject, payload } = JSON.parse(message.data)
    const data = payload.data ?? {}
    this.news.push({ id: message.lastEventId, type, subject, at: payload.timestamp, token: data.token, endpoint: data.endpoint, reason: data.reason })
    if (this.news.length > 200) this.news.shift() // a page shows no more
  }

  #tellNews() {
    if (!this.news.length) return
    const detail = this.news
    this.news = []
    this.dispatchEvent(new CustomEvent('news', { detail }))
  }
}

export const live = new Live()
