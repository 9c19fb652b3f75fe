/* Search on pages that are opened from a disk.

   Browsers start no worker for file: addresses. There a hidden frame of the
   same origin runs the worker's script instead. */
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement('iframe')
      frame.hidden = true
      ;(document.body || document.documentElement).append(frame)
      this.scope = frame.contentWindow
      this.scope.postMessage = (data) => send(this, data)
      this.scope.importScripts = (...urls) => Promise.all(urls.map(this.load))
      this.ready = this.load(url)
    }

    load = (url) =>
      new Promise((done, failed) => {
        const script = this.scope.document.createElement('script')
        script.src = new URL(url, location.href)
        script.onload = done
        script.onerror = failed
        this.scope.document.body.append(script)
      })

    postMessage(data) {
      this.ready.then(() => send(this.scope, data))
    }

    terminate() {
      this.scope.frameElement.remove()
    }
  }

  function send(target, data) {
    setTimeout(() => target.dispatchEvent(new MessageEvent('message', { data })))
  }
}
