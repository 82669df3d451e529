// Browsers refuse workers to pages that are opened from disk, and the search is one. There, a hidden frame runs it.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(script) {
      const { href } = new URL(script, document.baseURI)
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.onload = () => this.start(href)
      document.documentElement.append(this.frame)
    }

    start(href) {
      this.inner = this.frame.contentWindow
      this.inner.postMessage = (data) => this.onmessage?.({ data })
      const element = this.inner.document.createElement("script")
      element.src = href
      element.onload = () => this.deliver()
      element.onerror = (event) => this.onerror?.(event)
      this.inner.document.head.append(element)
    }

    deliver() {
      this.ready = true
      for (const data of this.waiting.splice(0)) this.inner.onmessage?.({ data })
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
