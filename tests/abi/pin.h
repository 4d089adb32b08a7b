/* SPDX-License-Identifier: MIT */
/* pin.h - numbers that must not change, checked by the compiler */
#ifndef TEST_PIN_H
#define TEST_PIN_H

#define PIN(condition) _Static_assert(condition, #condition)
#define SIZE(s, n)     PIN(sizeof(struct s) == (n))
#define AT(s, f, n)    PIN(offsetof(struct s, f) == (n))

#endif /* TEST_PIN_H */
