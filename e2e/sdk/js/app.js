// An app as in OpenTelemetry's documentation, with the SDK's defaults: it configures nothing in
// code.
const { metrics } = require("@opentelemetry/api");
const { NodeSDK } = require("@opentelemetry/sdk-node");

const sdk = new NodeSDK();
sdk.start();
metrics.getMeter("sdk").createCounter("sdk.count").add(1);
sdk.shutdown().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
