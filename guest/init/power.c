#include "guest/init/power.h"

#include <fcntl.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/text.h"

enum { WHAT_MAX = sizeof ((struct err *) 0)->text };

static void write_line(const char *front, const char *phase, const char *what)
{
    AUTO(buffer) struct buffer line = { 0 };
    AUTO(fd) int               fd   = open("/dev/console", O_WRONLY | O_CLOEXEC | O_NOCTTY);

    buffer_append_text(&line, front);
    if (phase)
        buffer_printf(&line, "%s: ", phase);
    printable_append(&line, bytes_of_text(what), WHAT_MAX);
    buffer_append_text(&line, "\n");
    if (fd < 0 || write(fd, line.at, line.len) < 0)
        return; /* there is no one left to tell */
    (void) tcdrain(fd); /* not a terminal: nothing to wait for */
}

void power_say(const char *phase, const struct err *why)
{
    write_line("cloister-agent: ", phase, why->text);
}

void power_note(const char *phase, const char *what)
{
    write_line("cloister-agent note: ", phase, what);
}

void power_off(void)
{
    if (getpid() == 1) {
        sync();
        (void) reboot(RB_POWER_OFF); /* returns only when it does not work */
        (void) reboot(RB_AUTOBOOT);
    }
    _exit(1);
}
