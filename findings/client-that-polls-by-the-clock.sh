#!/bin/sh
# A client of a signing API that can only be polled sends its polls by setInterval, whether the one
# before was answered or not. A gateway that takes longer for an answer than the interval gets many
# polls of one signing at a time, the more the slower it is, from a single waiting client. And the
# first poll that fails ends the waiting, though the signing goes on and a poll that is under way
# already brings its end. A proxy in front should expect both: join the polls of a session, and let no
# hiccup of the gateway through as long as the last known answer serves.
#
# bankid 3.2.1 (npm), awaitPendingCollect with its refreshInterval of 2 s; a server of this script
# stands in for the gateway, to which the client is pointed by createAxiosInstance.
# Seen: with answers that take 9 s five polls are under way at a time; where the second of the polls
# is answered 503 and each of the others "complete", the client rejects with a BankIdError without a
# code, the first "complete" being 1 s away.
#
# Fails if no two polls are under way at a time, or if the client resolves.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --ignore-scripts --no-audit --no-fund bankid@3.2.1
cat > main.mjs <<'JS'
import { createServer } from 'node:http'
import { once } from 'node:events'
import axios from 'axios'
import { BankIdClientV6 } from 'bankid'

// gateway answers the polls as told, and counts them.
async function gateway(answer) {
  const seen = { polls: 0, now: 0, most: 0 }
  const server = createServer((request, response) => {
    const n = ++seen.polls
    seen.most = Math.max(seen.most, ++seen.now)
    request.resume()
    const { after, status, body } = answer(n)
    setTimeout(() => {
      seen.now--
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
    }, after)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  class Client extends BankIdClientV6 {
    createAxiosInstance() {
      return axios.create({ baseURL: `http://127.0.0.1:${server.address().port}/` })
    }
  }
  return { seen, client: new Client({ production: false }), close: () => server.closeAllConnections() ?? server.close() }
}

const pending = { status: 'pending', hintCode: 'outstandingTransaction' }
const complete = { status: 'complete', completionData: {} }

const slow = await gateway((n) => ({ after: 9000, status: 200, body: n < 3 ? pending : complete }))
await slow.client.awaitPendingCollect('order')
console.log(`answers take 9 s: ${slow.seen.most} polls of one signing at a time`)
slow.close()

const hiccup = await gateway((n) => (n === 2 ? { after: 0, status: 503, body: {} } : { after: 3000, status: 200, body: complete }))
const begun = Date.now()
const end = await hiccup.client.awaitPendingCollect('order').then(() => 'resolves', (error) => `rejects with ${error.name} ${error.code}`)
console.log(`one 503 among answers that are complete: it ${end} after ${Math.round((Date.now() - begun) / 1000)} s`)
hiccup.close()

if (slow.seen.most < 2 || end === 'resolves') {
  console.log('changed: polls wait for each other, or a failed one is not the end')
  process.exit(1)
}
process.exit(0)
JS
node main.mjs
