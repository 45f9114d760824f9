// Empties a queue with bbc/sqs-consumer: node sqs_consumer.js ENDPOINT QUEUE_URL MESSAGES INSTANCES one|batch
//
// As its manual shows it, with batchSize 10. INSTANCES poll at the same time with one client, since each takes its next
// messages only when it has dealt with the last ones; `batch` is its handleMessageBatch, which deletes by the ten.
import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const [endpoint, queueUrl, messages, instances, style] = process.argv.slice(2);
const sqs = new SQSClient({ endpoint, region: process.env.AWS_REGION });
const handler =
  style === "batch"
    ? { handleMessageBatch: async (received) => received }
    : { handleMessage: async (message) => message };

let done = 0;
const began = performance.now();
const consumers = Array.from({ length: Number(instances) }, () =>
  Consumer.create({ queueUrl, sqs, batchSize: 10, pollingCompleteWaitTimeMs: 0, ...handler }),
);
for (const consumer of consumers) {
  for (const trouble of ["error", "processing_error", "timeout_error"]) {
    consumer.on(trouble, (error) => {
      console.error(error.message);
      process.exit(1);
    });
  }
  consumer.on("message_processed", () => {
    done += 1;
    if (done < Number(messages)) return;
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage();
    console.error(JSON.stringify({ seconds, cpu_seconds: (user + system) / 1e6 }));
    process.exit(0);
  });
  consumer.start();
}
