var form = document.getElementById('send');
// Pressed beside this script, it would send the assertion twice.
form.removeChild(document.getElementById('send-submit'));
form.submit();
