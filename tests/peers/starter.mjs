// Runs one stand-in from npm on 127.0.0.1: node starter.mjs '{"modules": …, "service": …, "port": …, "seed": …}'
//
// Prints its URL when it answers; each line on standard input begins it anew and is answered by a line; ends with
// standard input, so that it cannot outlive the tests. It may connect to nothing but this machine: emulate really
// delivers web hooks.
import { createServer, request as forward } from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const HOST = "127.0.0.1";
const { modules, service, port, seed } = JSON.parse(process.argv[2]);
const require = createRequire(pathToFileURL(`${modules}/`));

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const options = [given].flat(2).find((option) => typeof option === "object" && option !== null) ?? {};
  const host = options.host ?? given.find((option) => typeof option === "string") ?? HOST;
  if (![HOST, "::1", "localhost"].includes(host)) throw new Error(`a connection would leave this machine: ${host}`);
  return connect.apply(this, given);
};

async function start() {
  if (service === "stripe-stateful-mock") {
    // Its state is in its modules: they are loaded again to begin anew.
    const load = () => {
      for (const name of Object.keys(require.cache)) {
        if (name.includes("stripe-stateful-mock")) delete require.cache[name];
      }
      return require("stripe-stateful-mock").createExpressApp();
    };
    let app = load();
    const server = createServer((request, response) => app(request, response));
    await new Promise((ready) => server.listen(port, HOST, ready));
    return () => (app = load());
  }
  const { createEmulator } = await import(pathToFileURL(`${modules}/node_modules/emulate/dist/api.js`));
  const inner = service === "slack" ? await front() : port;
  const options = { service, port: inner, hostname: HOST, baseUrl: `http://${HOST}:${port}`, seed };
  const emulator = await createEmulator(options);
  return () => emulator.reset();
}

// Slack takes arguments from the query of a POST as well (https://docs.slack.dev/apis/web-api#basics), and AsyncWebClient
// puts them there; emulate looks into the body only. This stands in front of it and moves them.
async function front() {
  const inner = await freePort();
  const server = createServer(async (request, response) => {
    let [path, query] = request.url.split("?");
    let body = Buffer.concat(await request.toArray());
    const headers = { ...request.headers };
    if (request.method === "POST" && query && !body.length) {
      body = Buffer.from(query);
      query = "";
      headers["content-type"] = "application/x-www-form-urlencoded";
    }
    delete headers["transfer-encoding"];
    headers["content-length"] = body.length;
    const target = { host: HOST, port: inner, path: query ? `${path}?${query}` : path, method: request.method, headers };
    forward(target, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    }).end(body);
  });
  await new Promise((ready) => server.listen(port, HOST, ready));
  return inner;
}

async function freePort() {
  const server = net.createServer();
  await new Promise((ready) => server.listen(0, HOST, ready));
  const found = server.address().port;
  await new Promise((closed) => server.close(closed));
  return found;
}

const reset = await start();
console.log(`http://${HOST}:${port}`);
createInterface({ input: process.stdin })
  .on("line", () => {
    reset();
    console.log("reset");
  })
  .on("close", () => process.exit(0));
