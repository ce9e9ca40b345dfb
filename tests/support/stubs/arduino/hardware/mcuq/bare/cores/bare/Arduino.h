/* Arduino.h: the few names of Arduino that a sketch of mcuq uses. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stdint.h>

unsigned long micros(void);
unsigned long millis(void);
void setup(void);
void loop(void);

class Port {
public:
    explicit operator bool() const { return true; }
    void begin(unsigned long) {}
    void print(const char *text);
    void print(int value);
    void print(unsigned long value);
    void println(const char *text = "");
};

extern Port Serial;

#endif
