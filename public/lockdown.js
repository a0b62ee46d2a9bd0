// The first script of the page. It closes what a Content-Security-Policy leaves open (WebRTC, and
// navigation to another origin), and makes script addresses of the page's own origin the only ones.
delete self.RTCPeerConnection;
delete self.webkitRTCPeerConnection;
self.navigation?.addEventListener('navigate', (event) => {
  if (new URL(event.destination.url).origin !== location.origin) event.preventDefault();
});
self.trustedTypes?.createPolicy('default', {
  createScriptURL: (url) => (new URL(url, location.href).origin === location.origin ? url : null),
});
