using System.Diagnostics;

namespace Glm.Server.Tests;

/// <summary>The official client for JavaScript drives the server, where Node.js and the package are there.</summary>
public sealed class OpenAiNodeTests(RunningServer server) : IClassFixture<RunningServer>
{
    private const string Script = """
        const OpenAI = require('openai'), assert = require('assert');
        const client = new OpenAI({ baseURL: process.argv[2] + 'v1', apiKey: 'any' });
        (async () => {
          const messages = [{ role: 'user', content: 'Hello' }], settings = { model: 'chat', messages, max_tokens: 16, temperature: 0 };
          const whole = await client.chat.completions.create(settings);
          let text = '', usage;
          for await (const part of await client.chat.completions.create({ ...settings, stream: true, stream_options: { include_usage: true } })) {
            text += part.choices[0]?.delta?.content ?? '';
            usage = part.usage ?? usage;
          }
          assert.strictEqual(text, whole.choices[0].message.content);
          assert.strictEqual(usage.completion_tokens, 16);
          const json = await client.chat.completions.create({ ...settings, max_tokens: 100, response_format: { type: 'json_schema', json_schema: { name: 'n', strict: true, schema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } } } });
          assert.ok(Number.isInteger(JSON.parse(json.choices[0].message.content).n));
          const completion = await client.completions.create({ model: 'blanks', prompt: 'The old house', max_tokens: 5, logprobs: 2, echo: true });
          assert.ok(completion.choices[0].text.startsWith('The old house'));
          const vectors = await client.embeddings.create({ model: 'blanks', input: ['a', 'b'] });
          assert.strictEqual(vectors.data.length, 2);
          assert.ok(Math.abs(vectors.data[0].embedding.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-3);
          assert.deepStrictEqual((await client.models.list()).data.map(model => model.id), ['chat', 'blanks']);
          await assert.rejects(client.chat.completions.create({ ...settings, model: 'none' }), error => error.status === 404 && error.code === 'model_not_found');
          console.log('all well');
        })().catch(error => { console.error(error); process.exit(1); });
        """;

    [NodeFact]
    public async Task It_needs_no_special_cases()
    {
        string file = Path.Combine(Path.GetTempPath(), $"glm-openai-{Guid.NewGuid():N}.cjs");
        File.WriteAllText(file, Script);
        var start = new ProcessStartInfo("node", [file, server.Address.ToString()]) { RedirectStandardOutput = true, RedirectStandardError = true, Environment = { ["NODE_PATH"] = NodeFactAttribute.Modules } };
        using var node = Process.Start(start)!;
        var error = node.StandardError.ReadToEndAsync();
        string output = await node.StandardOutput.ReadToEndAsync();
        await node.WaitForExitAsync();
        File.Delete(file);
        Assert.True(output.Contains("all well", StringComparison.Ordinal), await error);
    }
}

/// <summary>A test that needs Node.js and the npm package openai, in the folder that <c>GLM_NODE_MODULES</c> names.</summary>
internal sealed class NodeFactAttribute : FactAttribute
{
    public static string? Modules => Environment.GetEnvironmentVariable("GLM_NODE_MODULES");

    public NodeFactAttribute()
    {
        if (Modules is null || !Directory.Exists(Path.Combine(Modules, "openai"))) Skip = "the npm package openai is absent (npm install openai, then set GLM_NODE_MODULES to its node_modules)";
        else if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "node")))) Skip = "Node.js is absent";
    }
}
