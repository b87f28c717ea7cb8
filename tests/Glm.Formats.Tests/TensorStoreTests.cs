using Glm.Tensors;
using Glm.Tests;

namespace Glm.Formats.Tests;

/// <summary>Files and directories of every kind, recognised by their content and read alike; directories whose files disagree are refused.</summary>
public sealed class TensorStoreTests : IDisposable
{
    private const string Index = "model.safetensors.index.json", Shard1 = "model-00001-of-00002.safetensors", Shard2 = "model-00002-of-00002.safetensors";

    private readonly string _folder = Directory.CreateTempSubdirectory("glm-formats").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_file_is_recognised_by_its_content()
    {
        SafetensorsWriter.Write(In("a.gguf"), [("w", Tensor.From([1, 2], 2))]);
        File.WriteAllBytes(In("b.safetensors"), new RawGguf().AddTensor("w", [1, 2], 2).ToArray());
        // 123 tensors: the byte at which the header of a safetensors file begins is a brace here, too.
        var many = new RawGguf();
        for (int i = 0; i < '{'; i++) many.AddTensor($"w.{i}", [i], 1);
        File.WriteAllBytes(In("many"), many.ToArray());
        Assert.IsType<SafetensorsFile>(TensorStore.Open(In("a.gguf")));
        Assert.IsType<GgufFile>(TensorStore.Open(In("b.safetensors")));
        Assert.Equal([122], TensorStore.Open(In("many"))["w.122"].ToArray());
        foreach (string name in new[] { "a.gguf", "b.safetensors" })
        {
            var store = TensorStore.Open(In(name));
            Assert.Equal([1, 2], store["w"].ToArray());
            var info = store.FindInfo("w")!;
            Assert.Equal(("F32", DType.Float32, 8L), (info.StoredAs, info.Type, info.Bytes));
            Assert.Equal([2], info.Shape);
            Assert.Equal(In(name), store.FileOf("w"));
            Assert.Null(store.FindInfo("x"));
            Assert.Contains("expected a tensor named x", Assert.Throws<GlmException>(() => store["x"]).Message);
        }
    }

    [Fact]
    public void What_is_no_store_is_refused()
    {
        Assert.StartsWith(In("missing"), Assert.Throws<GlmException>(() => TensorStore.Open(In("missing"))).Message);
        Assert.Contains("found no *.safetensors", Assert.Throws<GlmException>(() => TensorStore.Open(_folder)).Message);
        File.WriteAllText(In("a"), "neither");
        Assert.Contains("found one that begins with 6e656974686572", Assert.Throws<GlmException>(() => TensorStore.Open(In("a"))).Message);
        File.WriteAllText(In("a"), "");
        Assert.Contains("begins with nothing", Assert.Throws<GlmException>(() => TensorStore.Open(In("a"))).Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData(Index)]
    public void Shards_are_read_by_their_index(string opened)
    {
        WriteShards("""{"metadata": {"total_size": 12}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}}""");
        SafetensorsWriter.Write(In("other.safetensors"), [("a", Tensor.From([7], 1))]);
        var store = TensorStore.Open(In(opened));
        Assert.Equal(["a", "b", "c"], store.Names);
        Assert.Equal([1f, 2f, 3f], store.Names.Select(name => store[name].ToArray()[0]));
        Assert.Equal((In(Shard1), In(Shard2)), (store.FileOf("a"), store.FileOf("b")));
        Assert.Equal(4, store.FindInfo("c")!.Bytes);
        Assert.False(store.Find("d", out _));
    }

    [Theory]
    [InlineData("""{"weight_map": {"a": "S1", "b": "S2"}}""", "S2: c: expected each tensor in the file that model.safetensors.index.json names, found none there")]
    [InlineData("""{"weight_map": {"a": "S1", "b": "S1", "c": "S2"}}""", "S2: b: expected each tensor in the file that model.safetensors.index.json names, found S1 there")]
    [InlineData("""{"weight_map": {"a": "S1", "b": "S2", "c": "S2", "d": "S2"}}""", "index.json: d: expected it in S2, found no such tensor there")]
    [InlineData("""{"weight_map": {"a": "S1", "b": "S2", "c": "model-3"}}""", "weight_map: expected the file model-3 beside the index, found none")]
    [InlineData("""{"weight_map": {"a": "../S1"}}""", "a: expected the name of a file beside the index, found \"../S1\"")]
    [InlineData("""{"weight_map": {"a": ".."}}""", "a: expected the name of a file beside the index")]
    [InlineData("""{"weight_map": {"a": "model.safetensors.index.json"}}""", "index.json: expected a safetensors, GGUF or PyTorch file")]
    [InlineData("""{"weight_map": {"a": 7}}""", "not the expected JSON")]
    [InlineData("""{"weight_map": ["a"]}""", "not the expected JSON")]
    [InlineData("""{"weight_map": {"a": "S1", "a": "S2"}}""", "not the expected JSON")]
    [InlineData("""{"weights": {}}""", "weight_map: expected a JSON object")]
    [InlineData("""{"weight_map""", "not the expected JSON")]
    [InlineData("""{[]}""", "not the expected JSON")]
    public void An_index_that_does_not_agree_with_its_files_is_refused(string index, string reason)
    {
        WriteShards(index.Replace("S1", Shard1).Replace("S2", Shard2));
        Assert.Contains(reason.Replace("S1", Shard1).Replace("S2", Shard2), Assert.Throws<GlmException>(() => TensorStore.Open(_folder)).Message);
    }

    [Fact]
    public void A_directory_without_an_index_is_all_of_its_files()
    {
        WriteShards("{}");
        File.Delete(In(Index));
        Assert.Equal(["a", "b", "c"], TensorStore.Open(_folder).Names);
        SafetensorsWriter.Write(In("z.safetensors"), [("b", Tensor.From([7], 1))]);
        Assert.Contains($"z.safetensors: b: expected each tensor once, found it in {In(Shard2)}, too", Assert.Throws<GlmException>(() => TensorStore.Open(_folder)).Message);
    }

    [Fact]
    public void Two_indexes_are_one_too_many()
    {
        WriteShards("{}");
        File.Copy(In(Index), In("pytorch.safetensors.index.json"));
        Assert.Contains("expected one *.safetensors.index.json, found model.safetensors.index.json, pytorch", Assert.Throws<GlmException>(() => TensorStore.Open(_folder)).Message);
    }

    private string In(string name) => Path.Combine(_folder, name).TrimEnd('/');

    private void WriteShards(string index)
    {
        SafetensorsWriter.Write(In(Shard1), [("a", Tensor.From([1], 1))]);
        SafetensorsWriter.Write(In(Shard2), [("b", Tensor.From([2], 1)), ("c", Tensor.From([3], 1))]);
        File.WriteAllText(In(Index), index);
    }
}
