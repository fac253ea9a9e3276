// Echo of bytes: received into the connection's own buffer, and all of it written back.

#ifndef BENCH_ASIO_RAW_HPP
#define BENCH_ASIO_RAW_HPP

#include <array>
#include <memory>
#include <utility>

#include "../native/common.h"
#include "socket.hpp"

// One operation is under way at any time, and its handler owns the connection: when it does not start another
// one, the socket is closed. No count of references is needed.
class RawEcho {
 public:
  static void start(Socket socket) { receive(std::unique_ptr<RawEcho>(new RawEcho(std::move(socket)))); }

 private:
  explicit RawEcho(Socket socket) : socket_(std::move(socket)) {}

  static void receive(std::unique_ptr<RawEcho> own) {
    RawEcho& echo = *own;
    echo.socket_.async_read_some(asio::buffer(echo.buffer_),
                                 [own = std::move(own)](const asio::error_code& error, std::size_t received) mutable {
                                   if (!error) {
                                     reply(std::move(own), received);
                                   }
                                 });
  }

  static void reply(std::unique_ptr<RawEcho> own, std::size_t count) {
    RawEcho& echo = *own;
    write_all(echo.socket_, asio::buffer(echo.buffer_, count),
              [own = std::move(own)](const asio::error_code& error) mutable {
                if (!error) {
                  receive(std::move(own));
                }
              });
  }

  Socket socket_;
  std::array<char, BUFFER_BYTES> buffer_;
};

#endif
