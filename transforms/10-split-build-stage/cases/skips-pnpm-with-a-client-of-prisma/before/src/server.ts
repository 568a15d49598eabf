import express from "express";
import { info } from "@/log";

express().listen(3000, () => info("up"));
