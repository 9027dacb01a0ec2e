// Takes webhooks, verifies them and stores each once, as a file in the folder INBOX
// (which has to be there). Run it with
//
//     npm install
//     WEBHOOK_SECRET=whsec_… INBOX=inbox PORT=9081 node receiver.js
import { randomUUID } from "node:crypto";
import { open, rename } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";

// With an empty key anybody can sign: not every version of the package minds.
const secret = process.env.WEBHOOK_SECRET ?? "";
if (!/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(secret)) {
  console.error("WEBHOOK_SECRET must be the secret of the subscription, whsec_…");
  process.exit(1);
}
const verifier = new Webhook(secret);
const inbox = process.env.INBOX || ".";
const mostBody = 64 << 20; // bytes; 1 MiB is plenty without include_file

const server = createServer(async (request, response) => {
  const answer = (status) => response.writeHead(status).end();
  try {
    // The bytes as they came: JSON.stringify(JSON.parse(body)) has another signature.
    // For Express and Fastify see "Frameworks" in docs/verify-webhooks.md.
    const parts = [];
    let size = 0;
    for await (const part of request) {
      size += part.length;
      if (size > mostBody) return answer(413);
      parts.push(part);
    }
    const body = Buffer.concat(parts);
    try {
      verifier.verify(body, request.headers, { jsonParse: false });
    } catch {
      return answer(401);
    }
    // 2xx only once it is stored: pollbridge then forgets it.
    await store(request.headers["webhook-id"], body);
    answer(204);
    // The work itself is done by somebody else, who reads the inbox.
  } catch (error) {
    console.error(error.message);
    if (!response.headersSent) answer(503); // it will be sent again
  }
});

// store keeps a webhook under its id: one that comes twice is there once. Instead of
// files, take a table whose key is the id.
async function store(id, body) {
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(id)) throw new Error("the id is not a file name");
  const temporary = join(inbox, `.new-${randomUUID()}`);
  const file = await open(temporary, "wx");
  try {
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(inbox, `${id}.json`));
}

server.listen(Number(process.env.PORT || 0), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/webhooks`);
});
