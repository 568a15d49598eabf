System.Diagnostics.Process.Start("git");
