import express from 'express'; import puppeteer from 'puppeteer'; puppeteer.launch(); express().listen(3000)
