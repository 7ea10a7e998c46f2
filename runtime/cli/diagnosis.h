/*
 * What a host can run, as a list of findings: each with what was looked at, what was found and how to mend it. Looked at
 * are files below a root, so that the copy of another machine's can be judged, and a test's.
 */
#pragma once

#include "runtime/vmm/host.h"

enum finding_level {
    FINDING_GOOD,
    FINDING_NOTE,   /* something that a TEE which is not chosen here would need, or worth knowing */
    FINDING_MISSING /* nothing runs, or not what was chosen, before this is mended */
};

enum { FINDINGS_MAX = 64, FINDING_TEXT_MAX = 200 };

struct finding {
    enum finding_level level;
    const char        *what;                    /* static text */
    char               found[FINDING_TEXT_MAX]; /* cut to fit; printable */
    const char        *mend;                    /* static text; NULL when there is nothing to do */
};

struct diagnosis {
    struct finding findings[FINDINGS_MAX];
    size_t         n;
    struct host    host;
    bool           is_chosen;
    enum tee       tee; /* what --tee auto chooses; with is_chosen */
};

struct diagnosis_options {
    const char *root;            /* in front of all paths; "" for this machine */
    const char *guest_directory; /* guest image; NULL: the usual places */
};

void diagnosis_free(struct diagnosis *d);
static inline void auto_diagnosis(struct diagnosis *d) { diagnosis_free(d); }

/*
 * Looks at everything. Needs no privilege; what cannot be read without one is said to be so. QEMU, swtpm and CPUID are
 * this machine's also with another root.
 *
 * Fails NOT_FOUND, OS when there is no /proc/cpuinfo to begin with.
 */
FALLIBLE diagnosis_make(const struct diagnosis_options *options, struct diagnosis *out, struct err *err);
bool     diagnosis_has_missing(const struct diagnosis *d);

const char *finding_level_name(enum finding_level level); /* "ok", "note", "missing" */
void        diagnosis_add(struct diagnosis *d, enum finding_level level, const char *what, const char *mend,
                          const char *found, ...) PRINTF_LIKE(5);
