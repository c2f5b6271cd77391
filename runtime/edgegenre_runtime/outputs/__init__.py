"""Where the answers go while listening: lines, a terminal view, a log file, MQTT, a status page, clips."""
