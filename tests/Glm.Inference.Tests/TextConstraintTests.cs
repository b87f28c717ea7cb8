using System.Text;
using System.Text.Json.Nodes;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Inference.Tests;

/// <summary>Constraints, walked byte by byte against what they mean, and with a model that knows nothing of them.</summary>
public sealed class TextConstraintTests
{
    private static readonly TokenVocabulary Vocabulary = new(TinyModel.Tokenizer, 400);

    [Theory]
    [InlineData("abc", "abc", "ab|abcd|abd")]
    [InlineData("a|bc|", "a|bc|", "b|c|abc")]
    [InlineData("(ab)+c?", "ab|abab|ababc", "|aab|abc c")]
    [InlineData("[a-c]{2,3}", "ab|abc|ccc", "a|abca|d")]
    [InlineData("x{2}(y{0,1}){2}", "xx|xxy|xxyy", "x|xxyyy")]
    [InlineData("[^a-y]\\d", "z1|猫9|é0", "a1|zz|\n")]
    [InlineData("(a|b(c|d)*)e", "ae|be|bcdce", "e|acde")]
    [InlineData("^\\w+@\\w+\\.(com|org)$", "me@here.org|a_1@b.com", "@b.com|me@here.net")]
    [InlineData("[一-龥]+。", "猫坐。|一。", "猫坐|cat。|。")]
    [InlineData(".", "a|é|猫|😀", "\n|ab|")]
    [InlineData("\\u732b|\\x41", "猫|A", "B")]
    public void A_pattern_takes_what_it_matches_and_nothing_else(string pattern, string matches, string others)
    {
        var automaton = new Automaton(TextConstraint.Regex(pattern).Compile(), Vocabulary);
        foreach (string text in matches.Split('|')) Assert.True(Takes(automaton, text), text);
        foreach (string text in others.Split('|'))
            Assert.False(Takes(automaton, text), text);
    }

    /// <summary>Random ranges of code points, against their UTF-8.</summary>
    [Fact]
    public void Ranges_of_characters_are_ranges_of_bytes()
    {
        var random = new Random(1);
        for (int round = 0; round < 300; round++)
        {
            int scale = new[] { 0x90, 0x900, 0x11000, 0x110000 }[round % 4], a = random.Next(scale), b = random.Next(scale);
            var sequences = Utf8Ranges.Of(Math.Min(a, b), Math.Max(a, b)).ToArray();
            for (int i = 0; i < 200; i++)
            {
                int c = i < 4 ? new[] { a, b, Math.Min(a, b) - 1, Math.Max(a, b) + 1 }[i] : random.Next(scale);
                if (!Rune.IsValid(c)) continue;
                byte[] bytes = Encoding.UTF8.GetBytes(new Rune(c).ToString());
                int matching = sequences.Count(s => s.Length == bytes.Length && s.Zip(bytes).All(pair => pair.Second >= pair.First.First && pair.Second <= pair.First.Last));
                Assert.Equal(c >= Math.Min(a, b) && c <= Math.Max(a, b) ? 1 : 0, matching);
            }
        }
    }

    [Theory]
    [InlineData("""{"type":"integer"}""", "0|-7|123456", "01|-|1.5|a|")]
    [InlineData("""{"type":"number"}""", "0|-1.25|3e10|2.5E-7", "1.|.5|+1|1e")]
    [InlineData("""{"type":["string","null"],"maxLength":3}""", "null|\"\"|\"a猫\\n\"|\"\\u00e9\"", "\"abcd\"|nul|\"\n\"|\"\\ud800\"")]
    [InlineData("""{"enum":["a\"b",1,null,{"x":[]}]}""", "\"a\\\"b\"|1|null|{\"x\":[]}", "\"a\"|2")]
    [InlineData("""{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2}""", "[true]|[false, true]|[true,true]", "[]|[true,true,true]|[1]|[true,]")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer"},"b":{"const":"x"},"c":{"type":"null"}},"required":["b"]}""",
        "{\"b\":\"x\"}|{\"a\":1,\"b\":\"x\"}|{\"a\": 1, \"b\": \"x\", \"c\": null}|{\"b\":\"x\",\"c\":null}", "{}|{\"a\":1}|{,\"b\":\"x\"}|{\"b\":\"x\",}|{\"b\":\"x\",\"a\":1}|{\"a\":1\"b\":\"x\"}")]
    [InlineData("""{"properties":{"p":{"type":"string","pattern":"^[a-z]+\\d$"}}}""", "{}|{\"p\":\"ab1\"}", "{\"p\":\"1\"}|{\"p\":\"ab1 \"}")]
    [InlineData("""{"anyOf":[{"type":"integer"},{"$ref":"#/$defs/t"}],"$defs":{"t":{"type":"object","properties":{"n":{"$ref":"#/$defs/t"}},"required":[]}}}""",
        "5|{}|{\"n\":{}}|{\"n\":{\"n\":{}}}", "{\"n\":5}|null")]
    [InlineData("""{"type":"object","additionalProperties":{"type":"integer"}}""", "{}|{\"k\":1}|{\"k\":1, \"\":2}", "{\"k\":\"v\"}|{1:1}")]
    [InlineData("true", "1|\"x\"|[1, {\"a\": []}]|{}", "[|{a:1}|[1 2]")]
    [InlineData("""{"type":"object","properties":{},"additionalProperties":false}""", "{}", "{\"a\":1}")]
    public void A_schema_takes_what_it_allows_and_nothing_else(string schema, string allowed, string others)
    {
        var automaton = new Automaton(TextConstraint.JsonSchema(schema).Compile(), Vocabulary);
        foreach (string text in allowed.Split('|')) Assert.True(Takes(automaton, text), text);
        foreach (string text in others.Split('|')) Assert.False(Takes(automaton, text), text);
    }

    [Theory]
    [InlineData("""{"type":"integer","minimum":3}""", "minimum")]
    [InlineData("""{"oneOf":[{"type":"integer"}]}""", "oneOf")]
    [InlineData("""{"type":"strin"}""", "strin")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "no such place")]
    [InlineData("""{"$ref":"http://elsewhere"}""", "elsewhere")]
    [InlineData("""{"$ref":"#"}""", "allows something")]
    [InlineData("""{"type":"object","properties":{"a":{}},"required":["b"]}""", "required")]
    [InlineData("""{"type":"array","minItems":3,"maxItems":2}""", "maxItems")]
    [InlineData("""{"type":"string","pattern":"a(b"}""", "pattern")]
    [InlineData("""{"a" """, "JSON")]
    [InlineData("[]", "schema")]
    public void A_schema_that_cannot_be_kept_is_refused(string schema, string reason) =>
        Assert.Contains(reason, Assert.Throws<GlmException>(() => TextConstraint.JsonSchema(schema)).Message);

    [Theory]
    [InlineData(ToolCallForm.Json, """weather¦{"city":"Köln"}¦weather¦{"city":"a","days":-2,"now":true,"unit":"it's"}¦time¦{}""", """weather¦{}¦weather¦{"town":"a"}¦time¦{"city":"a"}¦clock¦{}¦weather{"city":"a"}""")]
    [InlineData(ToolCallForm.Python,
        """weather¦```python¦tool_call(city='Köln')¦```¦ weather¦ ```python¦tool_call(city='a\n"\'', days=-2,now=True, unit='it\'s', list=[None, {'a': False}])¦```¦time¦```python¦tool_call()¦```""",
        """weather¦```python¦tool_call()¦```¦weather¦```python¦tool_call(city="a")¦```¦weather¦```python¦tool_call(city='a', now=true)¦```¦time¦```python¦tool_call(1)¦```¦weather¦{"city":"a"}""")]
    public void A_call_takes_its_arguments_and_nothing_else(ToolCallForm form, string allowed, string others)
    {
        var functions = JsonNode.Parse("""
            [{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},"now":{"type":"boolean"},"unit":{"enum":["C","it's"]},
            "list":{"enum":[[null,{"a":false}]]}},"required":["city"]}},{"name":"time"}]
            """)!.AsArray();
        var automaton = new Automaton(TextConstraint.ToolCall(form, functions).Compile(), Vocabulary);
        foreach (string text in Calls(allowed))
        {
            Assert.True(Takes(automaton, text), text);
            Assert.NotNull(ToolCall.Of(new ChatMessage(ChatRole.Assistant, text[(text.IndexOf('\n') + 1)..]) { Metadata = text[..text.IndexOf('\n')].Trim() }));
        }
        foreach (string text in Calls(others)) Assert.False(Takes(automaton, text), text);

        // Calls stand one after the other, the signs ¦ for their lines.
        string[] Calls(string list) => [.. System.Text.RegularExpressions.Regex.Split(list.Replace('¦', '\n'), "\n(?= ?(?:weather|time|clock))")];
    }

    [Theory]
    [InlineData(ToolCallForm.Json, """[{"name":"a\nb"}]""", "tools[0]")]
    [InlineData(ToolCallForm.Json, """[{"name":"a"},{"name":"b","parameters":{"properties":{"n":{"multipleOf":2}}}}]""", "tools[1].parameters.properties.n")]
    [InlineData(ToolCallForm.Python, """[{"name":"a","parameters":{"properties":{"no-name":{}}}}]""", "no-name")]
    public void A_tool_that_cannot_be_kept_is_refused(ToolCallForm form, string functions, string reason) =>
        Assert.Contains(reason, Assert.Throws<GlmException>(() => TextConstraint.ToolCall(form, JsonNode.Parse(functions)!.AsArray())).Message);

    [Theory]
    [InlineData("a{1001}")]
    [InlineData("(a{1000}){1000}{1000}")]
    [InlineData("*a")]
    [InlineData("[b-a]")]
    [InlineData("[a")]
    [InlineData("(?=a)")]
    [InlineData("a\\")]
    [InlineData("\\p{L}")]
    [InlineData("[^\\d\\D]")]
    public void A_pattern_that_is_not_understood_is_refused(string pattern) => Assert.Throws<GlmException>(() => TextConstraint.Regex(pattern));

    /// <summary>A random model, which wants anything but JSON, can only write what is allowed.</summary>
    [Theory]
    [InlineData("causal")]
    [InlineData("prefix")]
    public async Task Whatever_a_model_wants_it_obeys(string architecture)
    {
        using var workers = new Workers(2);
        var model = GenerationEngineTests.Create(architecture);
        await using var engine = new GenerationEngine(model, workers, new BatchingOptions { DraftTokens = 4 });
        var tokenizer = TinyModel.Tokenizer;
        const string schema = """{"type":"object","properties":{"name":{"type":"string","maxLength":5},"ages":{"type":"array","items":{"type":"integer"},"maxItems":3},"ok":{"type":"boolean"}},"required":["name","ok"]}""";
        var results = await Task.WhenAll(Enumerable.Range(0, 24).Select(seed =>
        {
            int[] ends = [tokenizer.Blanks.Eop];
            var constraint = seed % 2 == 0 ? TextConstraint.JsonSchema(schema) : TextConstraint.Regex("(cat|dog|猫)( and (cat|dog)){1,2}[.!]");
            return engine.RunAsync(new GenerationRequest
            {
                Context = new DecodingContext([1 + seed, 2, 3], new BlankPlace(model.IsCausal ? 0 : 2, 1, RunsOn: true)),
                MaxNewTokens = 150,
                Sampling = new SamplingOptions { EndTokens = ends, Seed = (ulong)seed, Temperature = seed % 3 },
                Constraint = constraint.Over(new TokenVocabulary(tokenizer, model.VocabSize), ends),
            });
        }));
        for (int seed = 0; seed < results.Length; seed++)
        {
            string text = Encoding.UTF8.GetString([.. results[seed].Ids.SelectMany(tokenizer.TokenBytes)]);
            Assert.Equal(FinishReason.Stop, results[seed].Finish);
            if (seed % 2 == 1) Assert.Matches("^(cat|dog|猫)( and (cat|dog)){1,2}[.!]$", text);
            else
            {
                var value = JsonNode.Parse(text)!.AsObject();
                Assert.InRange(value["name"]!.GetValue<string>().EnumerateRunes().Count(), 0, 5);
                Assert.NotNull(value["ok"]);
                if (value["ages"] is JsonArray ages) Assert.All(ages, age => age!.GetValue<long>());
            }
        }
    }

    /// <summary>Tokens of every vocabulary, put together, are its text.</summary>
    [Fact]
    public void Bytes_of_tokens_are_those_of_their_text()
    {
        var tokenizer = TinyModel.Tokenizer;
        int[] ids = tokenizer.Encode("The cat sat; 猫坐在 é\n twice");
        byte[] bytes = [.. ids.SelectMany(tokenizer.TokenBytes)];
        Assert.Equal(tokenizer.Decode(ids), Encoding.UTF8.GetString(bytes).TrimStart(' '));
    }

    private static bool Takes(Automaton automaton, string text) => automaton.After(automaton.Start, Encoding.UTF8.GetBytes(text)) is >= 0 and var state && automaton.MayEnd(state);
}
