/* Records of TLS are decrypted in memory of GnuTLS, and an administrator's may hold a secret: it is wiped before it is freed. */
#pragma once

/* From here on, for the whole process; call it before the first session. */
void tls_memory_wipe(void);
