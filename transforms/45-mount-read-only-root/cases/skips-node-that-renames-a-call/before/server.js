import { writeFile as save } from "node:fs";

save("notes.txt", "", () => {});
