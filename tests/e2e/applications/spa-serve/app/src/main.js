const places = { "/": "All tickets", "/new": "A new ticket" };

document.querySelector("#root").textContent = places[location.pathname] ?? "No such ticket";
