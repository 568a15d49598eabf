import express from 'express'; import '@acme/log'; express().listen(3000)
