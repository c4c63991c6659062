/** tfjs as the tests have it: its packages register themselves, and its hint for Node is not wanted. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";

tf.enableProdMode();
// `tf.memory` asks for an active one.
await tf.setBackend("cpu");

export { tf };

/** What an application could notice of a bridge in its tfjs. */
export const globalState = (): object => {
  const engine = tf.engine();
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  return {
    active: engine.backendName,
    registered: engine.backendNames(),
    numTensors,
    numDataBuffers,
    numBytes,
    scopes: engine.state.scopeStack.length,
    tape: engine.isTapeOn(),
    // The getters of flags memorize what they found out.
    production: tf.env().getBool("PROD"),
  };
};
