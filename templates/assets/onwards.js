// Pages that go on by themselves. Apart from app.js, and in words that every browser knows: one word it does not know makes
// a browser refuse the whole file.
(function () {
  // An answer on its way back to an app.
  var form = document.getElementById("form-post");
  if (form) {
    form.submit();
    return;
  }

  // Logout: onwards as soon as every app in a frame has heard of it, or in three seconds.
  var page = document.getElementById("signed-out");
  var next = page && page.getAttribute("data-next");
  if (!next) return;
  function onwards() {
    location.replace(next);
  }
  // The window has loaded when its frames have.
  window.onload = onwards;
  setTimeout(onwards, 3000);
})();
