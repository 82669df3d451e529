// Browsers refuse workers to pages that are opened from disk, and the search is one. There, a hidden frame runs it.
// As between a page and a worker, messages are copies, and arrive after the sender is done.
if (location.protocol === "file:") {
  const send = (receiver, data) => {
    const copy = structuredClone(data)
    setTimeout(() => receiver.onmessage?.({ data: copy }))
  }
  window.Worker = class {
    constructor(script) {
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.onload = () => this.start(new URL(script, document.baseURI))
      document.documentElement.append(this.frame)
    }

    start(script) {
      this.inner = this.frame.contentWindow
      this.inner.postMessage = (data) => send(this, data)
      const element = this.inner.document.createElement("script")
      element.src = script
      element.onload = () => this.deliver()
      element.onerror = (event) => this.onerror?.(event)
      this.inner.document.head.append(element)
    }

    deliver() {
      this.ready = true
      for (const data of this.waiting.splice(0)) send(this.inner, data)
    }

    postMessage(data) {
      this.waiting.push(data)
      if (this.ready) this.deliver()
    }

    terminate() {
      this.frame.remove()
    }
  }
}
